"""`python -m benchmark.doctor model=llama3_lora`: everything that would stop a run here, at once, with remedies."""

from benchmark.run.doctor import main

if __name__ == "__main__":
    main()
