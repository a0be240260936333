"""The bytes of checkpoints: .bin files of llama2.c, Hugging Face folders, Q8_0."""
