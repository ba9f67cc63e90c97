"""Tables, figures and words about runs: on a terminal, on one self-contained page, on a card."""
