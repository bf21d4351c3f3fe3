//! colony
