"""`python -m benchmark.speed model=smollm2_lora`: how fast a model trains and answers, against the plain way."""

from benchmark.run.speed import main

if __name__ == "__main__":
    main()
