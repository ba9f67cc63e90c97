"""Reports on runs: tables for a terminal, figures on a self-contained page, a model card."""
