from datetime import datetime


def stamp():
    return datetime.now().isoformat()


from recorder import record


@record
def main():
    return {"when": stamp()}  # hazard: clock
