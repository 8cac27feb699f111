from recorder import record


@record
def main():
    s = set("the cat sat on the mat".split())
    return max(list(s)), sorted(list(s)), sum(map(len, s))
