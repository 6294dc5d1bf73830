// Package config is the config file of the command: its keys, their defaults, and
// how they become what the libraries take.
//
// A value comes from a flag, else from the environment, else from the file, else it
// is the default. The variable of a key is SPILLWAY_ and its path in capitals:
// buffer.messages is SPILLWAY_BUFFER_MESSAGES. Lists are written with commas there;
// an empty variable counts as not set, and variables that are of no key are ignored.
//
// [Load] reports every mistake it can find at once, each with the line and column,
// or the variable, it came from. What it returns is complete and has been checked,
// by the rules of package consumer too, whose errors are told in the words of the
// file.
package config
