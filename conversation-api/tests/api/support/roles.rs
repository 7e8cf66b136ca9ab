//! The people of the demonstration data, and what each of them may do.

/// A user of the demonstration data and what is theirs.
pub(crate) struct Row {
    pub(crate) email: &'static str,
    pub(crate) id: i64,
    pub(crate) role: &'static str,
    /// Where the user may listen and write.
    pub(crate) conversations: &'static [i64],
    /// What the user may read beside these, because nobody has it.
    pub(crate) unassigned: &'static [i64],
    pub(crate) departments: &'static [i64],
}

const fn row(
    email: &'static str,
    id: i64,
    role: &'static str,
    conversations: &'static [i64],
    unassigned: &'static [i64],
    departments: &'static [i64],
) -> Row {
    Row {
        email,
        id,
        role,
        conversations,
        unassigned,
        departments,
    }
}

/// Conversations 1 to 3 are department 1's, 4 to 6 department 2's. 1 is assigned to user 5, 2 to
/// 6, 4 to 9, 5 to 10; 3 and 6 to nobody.
pub(crate) const MATRIX: [Row; 10] = [
    row(
        "admin@tims.local",
        1,
        "admin",
        &[1, 2, 3, 4, 5, 6],
        &[],
        &[1, 2],
    ),
    row(
        "operations@tims.local",
        2,
        "operation_manager",
        &[1, 2, 3, 4, 5, 6],
        &[],
        &[1, 2],
    ),
    row("manager@tims.local", 3, "manager", &[1, 2, 3], &[], &[1]),
    row(
        "supervisor@tims.local",
        4,
        "account_manager",
        &[1, 2, 3],
        &[],
        &[1],
    ),
    row("agent@tims.local", 5, "agent", &[1], &[3], &[1]),
    row("agent2@tims.local", 6, "agent", &[2], &[3], &[1]),
    row("manager2@tims.local", 7, "manager", &[4, 5, 6], &[], &[2]),
    row(
        "supervisor2@tims.local",
        8,
        "account_manager",
        &[4, 5, 6],
        &[],
        &[2],
    ),
    row("agent3@tims.local", 9, "agent", &[4], &[6], &[2]),
    row("agent4@tims.local", 10, "agent", &[5], &[6], &[2]),
];
