//! One person's way through a journey, on a clock that is turned by hand.
