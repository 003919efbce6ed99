"""What the real thing is compared with, and what it is fed: models, truths, twins, made-up documents."""
