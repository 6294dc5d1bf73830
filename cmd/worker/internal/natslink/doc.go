// Package natslink connects the command to NATS: to servers, or to one that it
// starts inside the process for development.
package natslink
