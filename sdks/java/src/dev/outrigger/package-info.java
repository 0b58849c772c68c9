/**
 * Write a function; Outrigger brings it the work.
 *
 * <p>{@link dev.outrigger.Outrigger} serves, {@link dev.outrigger.Handler} is what it serves, {@link
 * dev.outrigger.Context} is what a call knows of itself. All else is how a call ends.
 */
package dev.outrigger;
