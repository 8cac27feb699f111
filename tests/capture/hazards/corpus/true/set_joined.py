from recorder import record


@record
def main():
    words = set("the cat sat on the mat".split())
    return " ".join(words)  # hazard: hash order
