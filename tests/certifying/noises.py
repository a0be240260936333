"""How far scores can be off: what lowering says of each head, and what a certificate says."""

from collections import defaultdict

from tests.certifying.lemma import compared
from tracr_lite.certifying import bounds
from tracr_lite.compiler.compiling import compile_once
from tracr_lite.compiler.lowering import copies, heads, program
from tracr_lite.compiler.lowering.match import columns_table
from tracr_lite.errors import CompileError
from tracr_lite.sampling import sample_program


class Noises:
    """Records both, by the truth tables of the head's selector."""

    def __init__(self, monkeypatch):
        self.lowered, self.certified = [], []
        monkeypatch.setattr(program, "_output", self._started(program._output))
        for module in (heads, copies):
            monkeypatch.setattr(module, "add_head", self._added(module.add_head))
        monkeypatch.setattr(bounds, "scored", self._scored(bounds.scored))

    def _started(self, output):
        def started(lowering):
            self.lowered.clear()  # an attempt that failed
            return output(lowering)

        return started

    def _added(self, add_head):
        def added(lowering, node, selector, scored, value, read):
            tables = tuple(columns_table(match).tobytes() for match in scored.matches)
            self.lowered.append((tables, scored.proved.noise))
            return add_head(lowering, node, selector, scored, value, read)

        return added

    def _scored(self, scored):
        def recorded(head, literals, nodes, number):
            found = scored(head, literals, nodes, number)
            tables = tuple(each.truth.astype("int8").tobytes() for each in literals)
            self.certified.append((tables, found.noise))
            return found

        return recorded

    def pairs(self, seed):
        """(bound of lowering, of the certificate) of each head of a random program."""
        sample = sample_program(seed)
        try:
            model = compile_once(
                sample.program, sample.vocab, sample.max_seq_len, causal=sample.causal
            )
        except CompileError:
            return []
        self.certified.clear()
        compared(model)
        by_table = defaultdict(lambda: ([], []))
        for side, rows in enumerate((self.lowered, self.certified)):
            for tables, noise in rows:
                by_table[tables][side].append(noise)
        found = []
        for ours, theirs in by_table.values():
            found += zip(sorted(ours), sorted(theirs), strict=True)
        return found
