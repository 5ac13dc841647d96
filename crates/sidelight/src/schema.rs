//! What each column means, inferred with the evidence, or as the person said.
