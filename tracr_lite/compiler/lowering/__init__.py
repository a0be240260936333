"""Stage 3, lower: values -> blocks, each with the columns it reads and writes."""
