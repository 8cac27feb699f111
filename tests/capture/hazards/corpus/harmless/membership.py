from recorder import record


@record
def main():
    stop = {"a", "the"}
    return (
        [word for word in "the cat sat".split() if word not in stop],
        len(stop),
        stop == {"the", "a"},
    )
