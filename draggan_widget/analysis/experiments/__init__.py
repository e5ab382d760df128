"""The paper's experiments on any generator (Pan et al. 2023, sections 4.2 and 4.3)."""
