def vocabulary(text):
    return set(text.split())


from recorder import record


@record
def main():
    index = []
    for word in vocabulary("the cat sat on the mat"):  # hazard: hash order
        index.append(word)
    return index
