variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that runs the workers. Use the same project in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region of the workers. Use the region of the buckets to avoid traffic between regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone: Dataflow chooses the zone."
  }
}

variable "name" {
  type        = string
  description = "The prefix of the names of the subnetwork and its firewall rules."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$", var.name))
    error_message = "name must consist of at most 32 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "network" {
  type        = string
  description = "The ID of the network: `network` of the network module."
  nullable    = false
}

variable "range" {
  type        = string
  description = "The CIDR range of the workers, with one address per worker. It must not overlap the network module's `ranges`. A /22 is enough for the 1,000 workers that a spec can request."
  default     = "10.0.8.0/22"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9.]+/[0-9]+$", var.range)) && try(cidrhost(var.range, 0) == split("/", var.range)[0], false)
    error_message = "range must be an IPv4 CIDR range that starts at its first address, such as 10.0.8.0/22."
  }

  validation {
    condition     = try(tonumber(split("/", var.range)[1]) <= 27, true)
    error_message = "range must be a /27 or larger: a job uses up to 20 workers by default."
  }
}

variable "google_range" {
  type        = string
  description = "The addresses that the names of Google APIs resolve to: `google_range` of the network module."
  nullable    = false
}

variable "flow_log_sampling" {
  type        = number
  description = "The share of connections that flow logs record, from 0 to 1. 0 turns flow logs off. A shuffle opens many connections."
  default     = 0
  nullable    = false

  validation {
    condition     = var.flow_log_sampling >= 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling must be from 0 to 1."
  }
}
