//! Branches of a stack that have learned in another session: of frozen features they learn apart in any case.

use std::collections::BTreeMap;

use super::session::Session;

/// What branches of a stack have learned.
#[derive(Debug, Default)]
pub(crate) struct LearnedBranches {
    /// Numbers of each parameter, by its path in the stack.
    values: BTreeMap<String, Vec<f32>>,
}

impl Session {
    /// What the branches of its stack have learned by steps.
    pub(crate) fn learned_branches(&self) -> LearnedBranches {
        let mut learned = LearnedBranches::default();
        if let Some((stack, node)) = self.state.network.root.stack() {
            let children = node.children.chunks(stack.members.max(1));
            let learning = stack.branches.iter().zip(children);
            for (name, child) in learning
                .filter(|(branch, _)| !branch.fitted)
                .flat_map(|(_, children)| children)
            {
                child.each_parameter(name, &mut |path, parameter| {
                    learned.values.insert(path, parameter.values());
                });
            }
        }
        learned
    }

    /// Takes over what branches of the same names have learned elsewhere. They are a part of what the network says, and have
    /// none in its steps.
    pub(crate) fn adopt(&mut self, learned: &LearnedBranches) {
        if let Some(stack) = self.state.network.root.stack_mut() {
            stack.fix_branches(&learned.values);
        }
    }
}
