"""Corpora: reading their layouts, checks, repairs, preparation, filelists, batching and loading.

    python preprocess.py ljspeech FOLDER --out data/mine       # layouts.py, preparation.py
    python preprocess.py check FOLDER                          # layouts.py, recordings.py, checks.py, repairs.py

`parallel.py` runs the work on the cores of one machine or on Ray, and resumes it after a kill.
"""
