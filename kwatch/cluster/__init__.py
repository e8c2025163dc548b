"""Which cluster, as whom, and what it serves: kubeconfig, credentials, TLS and the types that can be watched.

Nothing here opens a connection: discovery is handed a function that does. Importing it costs neither requests nor YAML.
"""
