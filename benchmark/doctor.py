"""`python -m benchmark.doctor model=llama3_lora`: everything that would stop a run on this machine, with its fix."""

from benchmark.run.findings import main

if __name__ == "__main__":
    main()
