import uuid

from recorder import record


@record
def main():
    return uuid.uuid4().hex  # hazard: entropy
