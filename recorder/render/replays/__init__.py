"""Replay plans, verdicts, repetitions and explanations as tables; JUnit reports."""
