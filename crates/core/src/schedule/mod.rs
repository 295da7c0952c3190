//! Work that is due: schedules, and batch jobs that resume.
