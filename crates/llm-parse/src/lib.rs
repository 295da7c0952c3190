//! Text to typed values through a language model.
