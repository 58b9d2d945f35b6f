//! Integration tests: the real program against a real broker, a real store and real HTTP.
