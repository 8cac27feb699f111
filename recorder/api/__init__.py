"""The names that people import: the decorator, `start_run`, and the reading side, `Store` and `Run`.

Public are the names in ``recorder.__all__``, and the types that their methods return. Everything else in the package
is internal and can change without notice. `Store` and `Run` are thin views of `recorder.store.store.RunStore` and
`recorder.records.Record`: they bind the two together and add loading, comparing, replaying and tables for notebooks.
"""
