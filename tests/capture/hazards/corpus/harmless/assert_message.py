from recorder import record


@record
def main():
    missing = set("a b".split()) - set("a b c".split())
    assert not missing, f"missing: {missing}"
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    return 1
