"""RASP programs to read, run and compile: one idea a file.

Every module here defines

- a docstring: what the program computes, on the first line and in a picture; then how; what
  there is to learn from it, in a line `Teaches: ...` (it stands in the gallery of docs/); and a
  command to try, in a line `Run: ...`;
- `VOCAB`, the tokens it reads, and `MAX_SEQ_LEN`, the length it is compiled for by default;
- `EXAMPLES`, pairs of an input and the output expected;
- `PROGRAM`, the S-Op itself;
- `reference(xs)`, the same thing in plain Python, which knows nothing of RASP;

and where there is a need

- `CAUSAL = True`: a position sees only itself and what stands before it (otherwise all);
- `FIXED_SIZE = True`: `PROGRAM` is built for `MAX_SEQ_LEN` and wrong on longer inputs;
- `valid(xs)`: which inputs the promise is about (otherwise all of them);
- `PROMPTS`, pairs of a prompt and what follows it, for a program that generates: its output at
  the last position is the next token, until that is `END`. It is causal.

A new file is found by `tracr-lite list` and by the tests; nothing has to be registered.
"""
