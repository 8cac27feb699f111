from recorder import record


@record
def main():
    words = set("the cat sat on the mat".split())
    lengths = {}
    total = 0
    for word in words:
        lengths[word] = len(word)
        total += len(word)
    return lengths["cat"], total
