"""paddle2torch: PaddleNLP checkpoints in, proven PyTorch safetensors out."""
