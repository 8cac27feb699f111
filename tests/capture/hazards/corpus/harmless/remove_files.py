import os
import shutil

from recorder import record


@record
def main():
    os.makedirs("scratch/inner", exist_ok=True)
    for name in os.listdir("scratch"):
        print(name)
    shutil.rmtree("scratch")
    return 1
