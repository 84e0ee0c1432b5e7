"""The engine of iKnowThisMelody: finds tracks whose melody resembles a clip. Start reading at `search.py`."""
