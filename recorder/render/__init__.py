"""Text, tables and pictures of runs, differences, replays and studies. It prints nothing."""
