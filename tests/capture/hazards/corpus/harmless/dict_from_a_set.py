from recorder import record


@record
def main():
    words = set("the cat sat on the mat".split())
    count = {word: 0 for word in words}
    for word in "the cat".split():
        count[word] += 1
    return count["the"] + count["cat"]
