"""The Python side: a store and its records as one holds them in a script or a notebook.

`Store` and `Run` here are what `recorder.Store` and `recorder.Run` name: each a thin view of the one further
down (`recorder.store.store.RunStore`, `recorder.records.Record`), bound to each other, with what needs the floors
between.
"""
