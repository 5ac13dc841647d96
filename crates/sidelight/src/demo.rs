//! The demonstration's data, made by the program: cards on a table, and a row about each picture.
