//! The WebSocket side of the protocol, statement by statement.
