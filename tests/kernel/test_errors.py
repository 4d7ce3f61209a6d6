"""Every exception that users see is raised by something that a user can reach."""
