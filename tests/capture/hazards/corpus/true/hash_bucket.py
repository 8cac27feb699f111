from recorder import record


@record
def main():
    return hash("cat") % 10  # hazard: hash order
