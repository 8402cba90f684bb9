"""Recordings and their texts before training: read in others' layouts, checked, repaired, prepared, by many processes.

    python preprocess.py ljspeech FOLDER --out data/mine       # sources.py, preparation.py
    python preprocess.py check FOLDER                          # recordings.py, doctor.py, suspects.py, repairs.py

`parallel.py` is how all of it runs: on the cores of one machine or on Ray, and on from where it was killed.
"""
