"""Proof of delivery: scenarios on simulated platforms, a checker of what they leave behind, and kills without end."""
