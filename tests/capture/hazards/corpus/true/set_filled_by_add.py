from recorder import record


@record
def main():
    seen = set()
    for word in "the cat sat on the mat".split():
        seen.add(word)
    return list(seen)  # hazard: hash order
