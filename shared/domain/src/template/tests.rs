//! Templates as people write them, for people as they are.
