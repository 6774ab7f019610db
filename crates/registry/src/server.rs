//! A registry: the server of the distribution protocol.
