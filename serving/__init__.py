"""Speech for other programs: an engine that shares the cores among clients, and the protocols that they speak.

    voices.py      the voices of a server by name, with their speakers and other names
    engine.py      requests -> pieces of encoded sound, computed by worker threads in the order of need
    app.py         the web application: keys, hosts, errors, time-outs
    openai.py      OpenAI's routes: /v1/audio/speech, /v1/models, /v1/audio/voices
    websocket.py   text in parts, as a language model writes it
    metrics.py     counters for Prometheus

Nothing here imports torch; a voice that needs it does.
"""
