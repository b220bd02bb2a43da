variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the network; the same in every module."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.gcp_project))
    error_message = "gcp_project is a project's id, such as my-project: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  type        = string
  description = "Region of the subnetwork, such as europe-west1; the same as the cluster's."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1, not a zone or a multi-region."
  }
}

variable "name" {
  type        = string
  description = "Name of the network, and what the names of all that is in it begin with."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$", var.name))
    error_message = "name has at most 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "ranges" {
  type = object({
    nodes    = optional(string, "10.0.0.0/22")
    pods     = optional(string, "10.4.0.0/16")
    services = optional(string, "10.8.0.0/20")
  })
  description = <<-EOT
    Address ranges (CIDR) that overlap neither each other nor a network that this one is to be joined with.
    Each node takes one address of `nodes` and, with 32 pods at the most, a /26 of `pods`: the /16 is
    enough for 1,024 nodes, so `nodes` need not be larger than /22. They can not be made smaller later.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for range in values(var.ranges) : can(cidrhost(range, 0)) && can(regex("^[0-9.]+/[0-9]+$", range))])
    error_message = "Each of ranges is an IPv4 range such as 10.0.0.0/22."
  }

  validation {
    condition = alltrue([
      for range in values(var.ranges) : try(cidrhost(range, 0) == split("/", range)[0], true)
    ])
    error_message = "Each of ranges begins at its own first address: 10.0.0.0/22, not 10.0.1.5/22."
  }

  validation {
    condition = !anytrue([
      for pair in [["nodes", "pods"], ["nodes", "services"], ["pods", "services"]] : try(
        length(distinct([
          for range in pair :
          cidrhost("${split("/", var.ranges[range])[0]}/${min([for each in pair : tonumber(split("/", var.ranges[each])[1])]...)}", 0)
        ])) == 1, false
      )
    ])
    error_message = "Two of ranges overlap."
  }

  validation {
    condition     = try(tonumber(split("/", var.ranges.pods)[1]) <= 21, true)
    error_message = "ranges.pods is a /21 or larger: a node takes a /26 of it, so a smaller one ends at a few nodes."
  }
}

variable "internet" {
  type        = bool
  description = <<-EOT
    Whether nodes that are not closed (the platform's pool) reach the Internet, through Cloud NAT. Google's
    APIs and images in Artifact Registry need none. Needed where Argo CD reads a Git server outside, or
    where the installation's webhook is outside: it is called by a step, so see `closed_tag` too.
  EOT
  default     = false
  nullable    = false
}

variable "closed_tag" {
  type        = string
  description = <<-EOT
    Network tag of nodes whose packets leave for Google's APIs and this network only, `internet` or not.
    The node pools of training classes carry it: what a trainer reads, it can not send away.
  EOT
  default     = "refeed-closed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$", var.closed_tag))
    error_message = "closed_tag is a network tag: lower-case letters, digits and hyphens."
  }
}

variable "google_names" {
  type        = set(string)
  description = <<-EOT
    Domains of Google that the network resolves to private.googleapis.com, whose few addresses
    (199.36.153.8/30) are all that closed nodes reach outside.
  EOT
  default     = ["googleapis.com", "pkg.dev", "gcr.io"]
  nullable    = false

  validation {
    condition     = contains(var.google_names, "googleapis.com")
    error_message = "google_names has at least googleapis.com: without it closed nodes reach no API."
  }
}

variable "flow_log_sampling" {
  type        = number
  description = "Share of the connections that flow logs tell of, 0 to 1; 0 turns them off. Logs cost by volume."
  default     = 0.1
  nullable    = false

  validation {
    condition     = var.flow_log_sampling >= 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling is a share from 0 to 1."
  }
}
